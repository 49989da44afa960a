abstract class BuilderSupport {
    private def $current
    abstract void setParent(parent, child)
    abstract def createNode(name)
    abstract def createNode(name, value)
    abstract def createNode(name, Map attributes)
    abstract def createNode(name, Map attributes, value)
    def getCurrent() { $current }
    void setCurrent(node) { $current = node }
    def getName(String name) { name }
    void nodeCompleted(parent, node) { }
    def postNodeCompletion(parent, node) { node }
    void setClosureDelegate(Closure body, node) { body.delegate = this }
    def methodMissing(String method, args) {
        def rest = args.toList()
        Closure body = rest && rest[-1] instanceof Closure ? rest.pop() : null
        int at = rest.findIndexOf { it instanceof Map }
        Map attributes = at < 0 ? null : rest.remove(at)
        if (rest.size() > 1) {
            def types = args.collect { it == null ? 'null' : it.getClass().name }.join(', ')
            throw new MissingMethodException("No signature of method: ${this.getClass().name}.$method() is applicable for argument types: ($types) values: ${args.toList()}".toString())
        }
        def name = getName(method)
        def node = attributes == null ? (rest ? createNode(name, rest[0]) : createNode(name)) : rest ? createNode(name, attributes, rest[0]) : createNode(name, attributes)
        if ($current != null) setParent($current, node)
        if (body != null) {
            def outer = $current
            $current = node
            setClosureDelegate(body, node)
            body()
            $current = outer
        }
        nodeCompleted($current, node)
        postNodeCompletion($current, node)
    }
}
