class FilteredNodeChildren extends groovy.util.slurpersupport.NodeChildren {
    private Closure $test
    FilteredNodeChildren(up, Closure test, Map prefixes) { super(up, up.name(), '*', prefixes); $test = test }
    List list() { def out = []; for (x in $up) { if ($test(x)) out.add(x) }; out }
    List $nodes() { def out = []; for (x in list()) out.addAll(x.$nodes()); out }
}
