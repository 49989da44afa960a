class Attributes extends groovy.util.slurpersupport.NodeChildren {
    Attributes(up, String name, String prefix, Map prefixes) { super(up, name, prefix, prefixes) }
    String name() { $name.substring(1) }
    List $nodes() { $up.$nodes() }
    List $inner() { throw new GroovyRuntimeException("Can't get the child nodes on a GPath expression selecting attributes: ....${$up.name()}.${name()}.childNodes()".toString()) }
    List list() {
        def uri = $prefix == '*' || $prefix == '' ? null : lookupNamespace($prefix)
        def key = uri ? "{$uri}${name()}".toString() : name()
        def out = []
        for (x in $up.list()) {
            for (node in x.$nodes()) {
                def value = node.attributes().get(key)
                if (value != null) out.add(new groovy.util.slurpersupport.Attribute($name, value, x, $prefix == '*' ? '' : $prefix, $prefixes))
            }
        }
        out
    }
    def parent() { $up }
    String text() { def out = new StringBuilder(); for (x in list()) out.append(x.text()); out.toString() }
    def findAll(Closure f) { new groovy.util.slurpersupport.FilteredAttributes(this, f, $prefixes) }
}
