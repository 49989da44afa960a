class NodeChild extends groovy.util.slurpersupport.GPathResult {
    private def $node
    NodeChild(node, up, String prefix, Map prefixes) { super(up, node.name(), prefix, prefixes); $node = node }
    List $nodes() { [$node] }
    List list() { [this] }
    def findAll(Closure f) { f(this) ? this : new groovy.util.slurpersupport.NoChildren(this, name(), '*', $prefixes) }
    Map attributes() { $node.attributes() }
    String namespaceURI() { $node.namespaceURI() }
    List localText() { $node.localText() }
}
