class Attribute extends groovy.util.slurpersupport.GPathResult {
    private String $value
    Attribute(String name, value, up, String prefix, Map prefixes) { super(up, name, prefix, prefixes); $value = value }
    String name() { $name.substring(1) }
    String text() { $value }
    List list() { [this] }
    List $inner() { throw new GroovyRuntimeException("can't call childNodes() in the attribute ${name()}".toString()) }
    String namespaceURI() { $prefix ? lookupNamespace($prefix) : '' }
    def findAll(Closure f) { f(this) ? this : new groovy.util.slurpersupport.NoChildren(this, $name, '*', $prefixes) }
}
