class Node {
    private def $up
    private def $name
    private Map $attributes
    private def $value
    Node(parent, name) { $make(parent, name, [:], new NodeList()) }
    Node(parent, name, Map attributes) { $make(parent, name, attributes, new NodeList()) }
    Node(parent, name, value) { $make(parent, name, [:], value) }
    Node(parent, name, Map attributes, value) { $make(parent, name, attributes, value) }
    private void $make(parent, name, attributes, value) {
        $up = parent
        $name = name
        $attributes = attributes
        $value = value
        if (parent != null) parent.children().add(this)
    }
    def clone() {
        def value = $value instanceof Collection ? new NodeList($value.collect { it instanceof Node ? it.clone() : it }) : $value
        new Node(null, $name, new HashMap($attributes), value)
    }
    def getProperty(String key) { get(key) }
    void setProperty(String key, value) {
        if (key.startsWith('@')) $attributes.put(key.substring(1), value)
        else if (key == 'value') $value = value
        else throw new MissingPropertyException("No such property: $key for class: groovy.util.Node".toString())
    }
    def $attribute(String key) { get('@' + key) }
    void $setAttribute(String key, value) { $attributes.put(key, value) }
    def get(String key) {
        if (key.startsWith('@')) return $attributes.get(key.substring(1))
        if (key == '..') return $up
        if (key == '*') return children()
        if (key == '**') return depthFirst()
        $named { name -> name instanceof groovy.xml.QName ? name.matches(key) : name == key }
    }
    def getAt(String key) { get(key) }
    def getAt(groovy.xml.QName key) { $named { name -> key.matches(name) } }
    void putAt(String key, value) { setProperty(key, value) }
    private def $named(Closure fits) {
        def out = new NodeList()
        for (x in children()) { if (x instanceof Node && fits(x.name())) out.add(x) }
        out
    }
    def name() { $name }
    def parent() { $up }
    def value() { $value }
    void setValue(value) { $value = value }
    Map attributes() { $attributes }
    def attribute(key) { $attributes.get(key) }
    def children() {
        if ($value == null) return new NodeList()
        $value instanceof List ? $value : new NodeList([$value])
    }
    def iterator() { children().iterator() }
    String text() {
        if ($value != null && !($value instanceof Collection)) return $value.toString()
        def out = new StringBuilder()
        for (x in children()) { if (x instanceof Node) out.append(x.text()) else if (x instanceof CharSequence) out.append(x) }
        out.toString()
    }
    List localText() { def out = []; for (x in children()) { if (x instanceof CharSequence) out.add(x) }; out }
    private void $open() { if (!($value instanceof List)) $value = children() }
    boolean append(node) { $open(); node.$moved(this); $value.add(node) }
    void $moved(to) { $up = to }
    def appendNode(name) { $open(); new Node(this, name) }
    def appendNode(name, Map attributes) { $open(); new Node(this, name, attributes) }
    def appendNode(name, value) { $open(); new Node(this, name, value) }
    def appendNode(name, Map attributes, value) { $open(); new Node(this, name, attributes, value) }
    boolean remove(node) {
        node.$moved(null)
        def all = children()
        for (int i = 0; i < all.size(); i++) { if (node.is(all[i])) { all.remove(i); return true } }
        false
    }
    def replaceNode(Closure content) { $replaced($made(content), 'Replacing the root node') }
    def replaceNode(Node node) { $replaced([node], 'Replacing the root node') }
    private def $replaced(List others, String what) {
        $behind(others, what)
        def all = $up.children()
        all.remove(all.findIndexOf { this.is(it) })
        $up = null
        this
    }
    def plus(Closure content) { $behind($made(content), 'Adding sibling nodes to the root node'); null }
    private List $made(Closure content) {
        def made = new NodeBuilder().made(content).children()
        for (x in made) { if (x instanceof Node) x.$moved($up) }
        made
    }
    private void $behind(List others, String what) {
        if ($up == null) throw new UnsupportedOperationException(what + ' is not supported')
        def all = $up.children()
        all.addAll(all.findIndexOf { this.is(it) } + 1, others)
    }
    Node clone() {
        def value = $value
        if (value instanceof NodeList) value = value.clone()
        new Node(null, $name, [:] + $attributes, value)
    }
    def depthFirst() { def out = new NodeList([this]); $deep(out); out }
    private void $deep(out) {
        for (x in children()) {
            out.add(x)
            if (x instanceof Node && x.$counts()) x.$deep(out)
        }
    }
    private boolean $counts() { def all = children(); all.size() > 1 || all.size() == 1 && all[0] instanceof Node }
    def breadthFirst() {
        def out = new NodeList([this])
        def level = children()
        while (!level.isEmpty()) {
            out.addAll(level)
            def next = []
            for (x in level) { if (x instanceof Node && x.$counts()) next.addAll(x.children()) }
            level = next
        }
        out
    }
    String toString() { "${$name}[attributes=${(String) $attributes}; value=${$value}]".toString() }
}
