class NodeChildren extends groovy.util.slurpersupport.GPathResult {
    NodeChildren(up, String name, String prefix, Map prefixes) { super(up, name, prefix, prefixes) }
    List $nodes() {
        def inner = $up.$inner()
        if ($name == '*') return inner
        def uri = $prefix == '*' ? null : $prefix == '' ? '' : $declared.get($prefix)
        def out = []
        for (node in inner) { if (node.name() == $name && ($prefix == '*' || node.namespaceURI() == uri)) out.add(node) }
        out
    }
    List list() { def out = []; for (node in $nodes()) out.add(new groovy.util.slurpersupport.NodeChild(node, $up, '*', $prefixes)); out }
    def findAll(Closure f) { new groovy.util.slurpersupport.FilteredNodeChildren(this, f, $prefixes) }
}
