abstract class GPathResult implements Iterable {
    private def $up
    private String $name
    private String $prefix
    private Map $prefixes
    private Map $declared
    GPathResult(up, String name, String prefix, Map prefixes) {
        $up = up
        $name = name
        $prefix = prefix
        $prefixes = prefixes
        $declared = up == null ? [xml: 'http://www.w3.org/XML/1998/namespace'] : up.$declared
    }
    def getProperty(String property) {
        if (property == '..') return parent()
        if (property == '*') return children()
        if (property == '**') return depthFirst()
        boolean attribute = property.startsWith('@')
        int colon = $prefixes.isEmpty() ? -1 : property.indexOf(':')
        String prefix = colon < 0 ? '*' : property.substring(attribute ? 1 : 0, colon)
        String name = colon < 0 ? property : (attribute ? '@' : '') + property.substring(colon + 1)
        attribute ? new groovy.util.slurpersupport.Attributes(this, name, prefix, $prefixes) : new groovy.util.slurpersupport.NodeChildren(this, name, prefix, $prefixes)
    }
    void setProperty(String property, value) {
        if (property.startsWith('@')) {
            def key = $key(property.substring(1))
            for (x in this) x.attributes().put(key, value.toString())
        } else for (node in getProperty(property).$nodes()) node.$body(value)
    }
    private String $key(String name) {
        int colon = $prefixes.isEmpty() ? -1 : name.indexOf(':')
        if (colon < 0) return name
        def uri = $prefixes.get(name.substring(0, colon))
        if (uri == null) throw new NullPointerException()
        "{$uri}${name.substring(colon + 1)}".toString()
    }
    def $attribute(String name) { getProperty('@' + name) }
    void $setAttribute(String name, value) { setProperty('@' + name, value) }
    String name() { $name }
    Map $prefixes() { $prefixes }
    def parent() { $up == null ? this : $up }
    def children() { new groovy.util.slurpersupport.NodeChildren(this, '*', '*', $prefixes) }
    def declareNamespace(Map more) { $declared = $declared + more; this }
    def lookupNamespace(String prefix) { $declared.get(prefix) ?: $prefixes.isEmpty() ? prefix : $prefixes.get(prefix) }
    List $nodes() { [] }
    void appendNode(what) { for (node in $nodes()) node.children().add(what) }
    void replaceNode(Closure what) { for (x in list()) { for (node in x.$nodes()) node.$replace(what, x) } }
    def plus(Closure what) { $plus(what) }
    def plus(CharSequence what) { $plus(what) }
    def plus(Iterable other) { list() + other.toList() }
    private def $plus(what) { replaceNode { delegate.mkp.yield(it); delegate.mkp.yield(what) }; this }
    void replaceBody(what) { for (node in $nodes()) node.$body(what) }
    def leftShift(what) { appendNode(what); this }
    List $inner() { def out = []; for (node in $nodes()) out.addAll(node.$inner()); out }
    List list() { [] }
    def iterator() { list().iterator() }
    def nodeIterator() { $nodes().iterator() }
    def childNodes() { $inner().iterator() }
    int size() { list().size() }
    boolean isEmpty() { size() == 0 }
    def getAt(int n) {
        def all = list()
        if (n < 0 || n < all.size()) return all[n]
        new groovy.util.slurpersupport.NoChildren(this, $name, '*', $prefixes)
    }
    def getAt(Range r) { list()[r] }
    def find(Closure f) {
        for (x in this) { if (f(x)) return x }
        new groovy.util.slurpersupport.NoChildren(this, $name, '*', $prefixes)
    }
    def depthFirst() { def out = []; $deep(out); out.iterator() }
    void $deep(out) { for (x in this) { out.add(x); x.children().$deep(out) } }
    def breadthFirst() {
        def out = []
        def level = list()
        while (!level.isEmpty()) {
            out.addAll(level)
            def next = []
            for (x in level) next.addAll(x.children().list())
            level = next
        }
        out.iterator()
    }
    String text() { def out = new StringBuilder(); for (node in $nodes()) node.$text(out); out.toString() }
    String toString() { text() }
    boolean equals(other) { this.is(other) || text() == other.toString() }
    int hashCode() { text().hashCode() }
    Integer toInteger() { text().toInteger() }
    Long toLong() { text().toLong() }
    Float toFloat() { text().toFloat() }
    Double toDouble() { text().toDouble() }
    BigDecimal toBigDecimal() { text().toBigDecimal() }
    BigInteger toBigInteger() { text().toBigInteger() }
    Boolean toBoolean() { text().toBoolean() }
    def toURI() { text().toURI() }
    def toURL() { text().toURL() }
}
