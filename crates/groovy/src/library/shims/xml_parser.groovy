class XmlParser {
    boolean trimWhitespace = false
    boolean keepIgnorableWhitespace = false
    private boolean $namespaces
    private boolean $doctype
    XmlParser(boolean validating = false, boolean namespaceAware = true, boolean allowDocTypeDeclaration = false) {
        $namespaces = namespaceAware
        $doctype = allowDocTypeDeclaration
    }
    def parseText(String text) {
        $node(groovy.util.slurpersupport.Node.$read(text, $namespaces, keepIgnorableWhitespace, $doctype, true)[0], null)
    }
    def parse(source) { parseText(source instanceof CharSequence ? new File(source.toString()).text : source.text) }
    void setFeature(String name, boolean value) { if (name.endsWith('/disallow-doctype-decl')) $doctype = !value }
    private def $node(element, parent) {
        def attributes = [:]
        for (e in element.attributes()) {
            int end = e.key.indexOf('}')
            attributes.put(end < 0 ? e.key : new groovy.xml.QName(e.key.substring(1, end), e.key.substring(end + 1)), e.value)
        }
        def uri = element.namespaceURI()
        def name = uri == '' ? element.name() : new groovy.xml.QName(uri, element.name(), element.$prefix())
        def node = new Node(parent, name, attributes, new NodeList())
        for (x in element.children()) {
            if (x instanceof groovy.util.slurpersupport.Node) $node(x, node)
            else node.children().add(trimWhitespace ? x.trim() : x)
        }
        node
    }
}
