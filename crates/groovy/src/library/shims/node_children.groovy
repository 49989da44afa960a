class NodeChildren extends groovy.util.slurpersupport.GPathResult {
    NodeChildren(up, String name, String prefix, Map prefixes) { super(up, name, prefix, prefixes) }
    List $nodes() { $fitting($up.$inner()) }
    private List $fitting(List inner) {
        if ($name == '*') return inner
        def uri = $prefix == '*' ? null : $prefix == '' ? '' : $declared.get($prefix)
        def out = []
        for (node in inner) { if (node.name() == $name && ($prefix == '*' || node.namespaceURI() == uri)) out.add(node) }
        out
    }
    List list() {
        def out = []
        for (x in $up.list()) { for (node in $fitting(x.$inner())) out.add(new groovy.util.slurpersupport.NodeChild(node, x, '*', $prefixes, $declared)) }
        out
    }
    def parent() { new groovy.util.slurpersupport.NodeParents(this, $prefixes) }
    def findAll(Closure f) { new groovy.util.slurpersupport.FilteredNodeChildren(this, f, $prefixes) }
}
