class FilteredAttributes extends groovy.util.slurpersupport.Attributes {
    private Closure $test
    FilteredAttributes(up, Closure test, Map prefixes) { super(up, '@' + up.name(), '*', prefixes); $test = test }
    List list() { def out = []; for (x in $up) { if ($test(x)) out.add(x) }; out }
}
