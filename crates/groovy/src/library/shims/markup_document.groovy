class MarkupDocument {
    private def $out
    private def $builder
    private Map $declared = [xml: 'http://www.w3.org/XML/1998/namespace']
    private Map $pending = [:]
    private int $tags = 0
    private Map $hints = [:]
    MarkupDocument(out, builder) { $out = out; $builder = builder }
    def getMkp() { new groovy.xml.MarkupDocumentHelper(this) }
    def getOut() { new groovy.xml.MarkupDocumentHelper(this) }
    def methodMissing(String name, args) { $tag('', name, args.toList()) }
    def propertyMissing(String name) { new groovy.xml.MarkupPrefix(this, name) }
    def $tag(String prefix, String name, List args) {
        if (prefix && !$pending.containsKey(prefix) && !$declared.containsKey(prefix)) throw new GroovyRuntimeException("Namespace prefix: $prefix is not bound to a URI".toString())
        Map attributes = [:]
        def content = null
        for (x in args) { if (x instanceof Map) attributes = x else content = x }
        $element(prefix ? prefix + ':' + name : name, attributes, content)
    }
    def $element(String name, Map attributes, content) {
        def (declared, pending) = [$declared, $pending]
        $out << '<' << name
        for (e in attributes) $attribute(e.key, e.value == null ? '' : String.valueOf(e.value))
        for (e in pending) $attribute(e.key ? 'xmlns:' + e.key : 'xmlns', e.value)
        if (content == null) {
            $out << ($builder.expandEmptyElements ? "></$name>".toString() : '/>')
        } else {
            $declared = declared + pending
            $pending = [:]
            $out << '>'
            $add(content)
            $out << "</$name>".toString()
        }
        $declared = declared
        $pending = pending
        null
    }
    private void $attribute(name, String value) {
        boolean doubled = $builder.useDoubleQuotes
        def quote = doubled ? '"' : "'"
        $out << " $name=$quote${$encoded(groovy.xml.MarkupBuilder.$quoted(value, doubled))}$quote".toString()
    }
    private String $encoded(String text) {
        if ($builder.encoding != null && !$builder.encoding.toString().equalsIgnoreCase('US-ASCII')) return text
        text.replaceAll(/[^\x00-\x7f]/) { '&#x' + Integer.toHexString(it.codePointAt(0)) + ';' }
    }
    void $add(content) {
        if (content == null) return
        if (content instanceof Closure) $call(content, this)
        else if (content instanceof groovy.util.slurpersupport.Attribute || content instanceof groovy.util.slurpersupport.Attributes) {
            $add(content.text())
        } else if (content instanceof groovy.util.slurpersupport.GPathResult) {
            for (node in content.$nodes()) $node(node)
        } else if (content instanceof groovy.util.slurpersupport.Node) $node(content)
        else if (content instanceof Collection) { for (x in content) $add(x) }
        else $out << $encoded(groovy.xml.MarkupBuilder.$content(content.toString()))
    }
    private void $call(Closure content, given) {
        def c = content.clone()
        c.delegate = this
        c(given)
    }
    private void $node(node) {
        def replacement = node.$replacement()
        if (replacement != null) {
            def (what, on, before) = replacement
            // What it makes may hold the node itself.
            node.$restore(before)
            $call(what, on)
            node.$restore(replacement)
            return
        }
        def (pending, tags) = [$pending, $tags]
        $pending = pending.clone()
        def name = $prefix(node.namespaceURI(), node.$prefix()) + node.name()
        Map attributes = [:]
        for (e in node.attributes()) {
            int end = e.key.indexOf('}')
            attributes.put(end < 0 ? e.key : $prefix(e.key.substring(1, end), '') + e.key.substring(end + 1), e.value)
        }
        $element(name, attributes, node.children())
        $pending = pending
        $tags = tags
    }
    private String $prefix(String uri, String hint) {
        if (uri == '') return ''
        for (known in [$pending, $declared]) { for (e in known) { if (e.value == uri) return e.key ? e.key + ':' : '' } }
        def prefix = hint ?: $hints.get(uri) ?: 'tag' + $tags++
        $pending.put(prefix, uri)
        prefix + ':'
    }
    void $hints(Map prefixes) { for (e in prefixes) { if (e.key) $hints.put(e.value, e.key) } }
    void $raw(value) { if (value instanceof Closure) $add(value) else $out << value.toString() }
    void $declare(Map more) { $pending = $pending + more }
    void $declaration() {
        def quote = $builder.useDoubleQuotes ? '"' : "'"
        $out << "<?xml version=${quote}1.0$quote"
        if ($builder.encoding != null) $out << " encoding=$quote${$builder.encoding}$quote"
        $out << '?>\n'
    }
    void $instruction(Map all) {
        for (e in all) {
            $out << "<?${e.key}"
            if (e.value instanceof Map) { for (a in e.value) $attribute(a.key, String.valueOf(a.value)) } else $out << " ${e.value}"
            $out << '?>'
        }
    }
}
