class NodeParents extends groovy.util.slurpersupport.NodeChildren {
    NodeParents(of, Map prefixes) { super(of, of.$up.name(), '*', prefixes) }
    List list() {
        def out = []
        def last = null
        for (x in $up.list()) {
            def parent = x.parent()
            def node = parent.$nodes()[0]
            if (!node.is(last)) out.add(parent)
            last = node
        }
        out
    }
    List $nodes() { def out = []; for (x in list()) out.addAll(x.$nodes()); out }
}
