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
        def read = groovy.util.slurpersupport.Node.$read(text, $namespaces, keepIgnorableWhitespace, $doctype, true)
        def prefixes = [:]
        for (e in read[1]) { if (e.key) prefixes.put(e.value, e.key) }
        $node(read[0], null, prefixes)
    }
    Node createNode(Node parent, name, Map attributes) { parent == null ? new Node(null, name, attributes) : parent.appendNode(name, attributes) }
    def parse(source) { parseText(source instanceof CharSequence ? new File(source.toString()).text : source.text) }
    void setFeature(String name, boolean value) { if (name.endsWith('/disallow-doctype-decl')) $doctype = !value }
    private def $node(element, parent, Map prefixes) {
        def attributes = [:]
        for (e in element.attributes()) {
            int end = e.key.indexOf('}')
            attributes.put(end < 0 ? e.key : $name(e.key.substring(1, end), e.key.substring(end + 1), prefixes), e.value)
        }
        def uri = element.namespaceURI()
        def name = uri == '' ? element.name() : new groovy.xml.QName(uri, element.name(), element.$prefix())
        def node = new Node(parent, name, attributes, new NodeList())
        for (x in element.children()) {
            if (x instanceof groovy.util.slurpersupport.Node) $node(x, node, prefixes)
            else node.children().add(trimWhitespace ? x.trim() : x)
        }
        node
    }
    private def $name(String uri, String local, Map prefixes) { new groovy.xml.QName(uri, local, prefixes.get(uri) ?: '') }
}
