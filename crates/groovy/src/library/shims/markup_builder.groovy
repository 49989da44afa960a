class MarkupBuilder extends groovy.util.BuilderSupport {
    boolean doubleQuotes = false
    boolean omitNullAttributes = false
    boolean omitEmptyAttributes = false
    boolean expandEmptyElements = false
    boolean escapeAttributes = true
    private def $out
    private String $before = 'nothing'
    MarkupBuilder(out = System.out) { $out = out instanceof IndentPrinter ? out : new IndentPrinter(out) }
    boolean getUseDoubleQuotes() { doubleQuotes }
    void setUseDoubleQuotes(boolean doubled) { doubleQuotes = doubled }
    def getMkp() { new groovy.xml.MarkupBuilderHelper(this) }
    void setParent(parent, child) { }
    def createNode(name) { createNode(name, [:], null) }
    def createNode(name, value) { createNode(name, [:], value) }
    def createNode(name, Map attributes) { createNode(name, attributes, null) }
    def createNode(name, Map attributes, value) {
        $begin(name, attributes)
        if (value != null) $text(groovy.xml.MarkupBuilder.$content(value.toString()))
        name
    }
    void nodeCompleted(parent, node) { $end(node) }
    private void $begin(String name, Map attributes) {
        if ($before == 'tag') $out.print('>')
        if ($before == 'tag' || $before == 'text') { $out.println(); $out.incrementIndent(); $out.printIndent() }
        if ($before == 'element') { $out.println(); $out.printIndent() }
        $out.print('<' + name)
        for (e in attributes) {
            if (e.value == null && omitNullAttributes || omitEmptyAttributes && e.value != null && e.value.toString() == '') continue
            def value = e.value == null ? '' : escapeAttributes ? groovy.xml.MarkupBuilder.$quoted(String.valueOf(e.value), doubleQuotes) : e.value
            def quote = doubleQuotes ? '"' : "'"
            $out.print(" ${e.key}=$quote$value$quote".toString())
        }
        $before = 'tag'
    }
    void $text(String text) {
        if ($before == 'nothing') return
        if ($before == 'tag') { $before = 'text'; $out.print('>') }
        $out.print(text)
    }
    void $instruction(Map all) {
        for (e in all) { $begin('?' + e.key, e.value); $out.println('?>'); $before = 'instruction'; return }
    }
    private void $end(String name) {
        if ($before == 'tag' && !expandEmptyElements) $out.print(' />')
        else {
            if ($before == 'element') { $out.println(); $out.decrementIndent(); $out.printIndent() }
            $out.print("${$before == 'tag' ? '>' : ''}</$name>".toString())
        }
        $before = 'element'
    }
    static String $content(String text) { text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;') }
    static String $quoted(String text, boolean doubled) {
        def out = groovy.xml.MarkupBuilder.$content(text).replace('\n', '&#10;').replace('\r', '&#13;').replace('\t', '&#09;')
        doubled ? out.replace('"', '&quot;') : out.replace("'", '&apos;')
    }
}
