class JsonDelegate {
    private Map found = [:]
    static content(Closure f, Object... args) {
        def delegate = new groovy.json.JsonDelegate()
        def c = f.clone()
        c.delegate = delegate
        c.resolveStrategy = Closure.DELEGATE_FIRST
        c(*args)
        delegate.$found()
    }
    def $found() { found }
    def methodMissing(String name, args) {
        def value
        if (args.length == 1) value = args[0] instanceof Closure ? groovy.json.JsonDelegate.content(args[0]) : args[0]
        else if (args.length == 2 && args[0] instanceof Collection && args[1] instanceof Closure) {
            value = args[0].collect { x -> groovy.json.JsonDelegate.content(args[1], x) }
        } else value = args.toList()
        found.put(name, value)
        value
    }
}
