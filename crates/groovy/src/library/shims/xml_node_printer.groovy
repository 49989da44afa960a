class XmlNodePrinter {
    boolean preserveWhitespace = false
    boolean expandEmptyElements = false
    boolean namespaceAware = true
    String quote
    private def $out
    XmlNodePrinter(out = System.out, String indent = '  ', String quote = '"') {
        $out = out instanceof IndentPrinter ? out : new IndentPrinter(out, indent)
        this.quote = quote
    }
    void print(Node node) { $node(node, [:]) }
    private void $node(node, Map outer) {
        Map known = outer.clone()
        def name = $name(node.name())
        def start = new StringBuilder('<').append(name)
        $declare(node.name(), known, start)
        for (e in node.attributes()) {
            start.append(" ${$name(e.key)}=$quote").append($escaped(String.valueOf(e.value), true)).append(quote)
            $declare(e.key, known, start)
        }
        def value = node.value()
        $out.printIndent()
        if (value == null || value instanceof Collection && value.isEmpty() || value instanceof CharSequence && value.toString() == '') {
            $out.println(start.append(expandEmptyElements ? "></$name>" : '/>').toString())
            return
        }
        boolean inline = preserveWhitespace && !(value instanceof Node) && !(value instanceof Collection && value.any { it instanceof Node })
        $out.print(start.append('>').toString())
        if (!inline) { $out.println(); $out.incrementIndent() }
        for (x in (value instanceof Collection ? value : [value])) {
            if (x instanceof Node) { $node(x, known); continue }
            if (!preserveWhitespace) $out.printIndent()
            $out.print($escaped(String.valueOf(x), false))
            if (!preserveWhitespace) $out.println()
        }
        if (!inline) { $out.decrementIndent(); $out.printIndent() }
        $out.println("</$name>".toString())
    }
    private String $name(key) { key instanceof groovy.xml.QName && namespaceAware ? key.qualifiedName : key.toString() }
    private void $declare(key, Map known, start) {
        if (!namespaceAware || !(key instanceof groovy.xml.QName) || key.namespaceURI == '') return
        if (known.get(key.prefix) == key.namespaceURI) return
        known.put(key.prefix, key.namespaceURI)
        start.append(key.prefix ? " xmlns:${key.prefix}=" : ' xmlns=').append(quote).append($escaped(key.namespaceURI, true)).append(quote)
    }
    private String $escaped(String text, boolean attribute) {
        def out = groovy.xml.MarkupBuilder.$content(text)
        if (!attribute) return out
        out = out.replace('\n', '&#10;').replace('\r', '&#13;')
        quote == '"' ? out.replace('"', '&quot;') : out.replace("'", '&apos;')
    }
}
