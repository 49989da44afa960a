class NodeChild extends groovy.util.slurpersupport.GPathResult {
    private def $node
    NodeChild(node, up, String prefix, Map prefixes, Map declared = null) {
        super(up, node.name(), prefix, prefixes)
        $node = node
        if (declared != null) $declared = declared
    }
    List $nodes() { [$node] }
    List list() { [this] }
    def findAll(Closure f) { f(this) ? this : new groovy.util.slurpersupport.NoChildren(this, name(), '*', $prefixes) }
    def getAt(int n) { n == 0 ? $node : new groovy.util.slurpersupport.NoChildren(this, name(), '*', $prefixes) }
    def getBody() { def inner = $node.children(); return { document -> document.$add(inner) } }
    Map attributes() { $node.attributes() }
    String namespaceURI() { $node.namespaceURI() }
    List localText() { $node.localText() }
}
