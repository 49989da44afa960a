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
    static $plain(value) {
        if (value instanceof Closure) return groovy.json.JsonDelegate.$plain(groovy.json.JsonDelegate.content(value))
        def bean = groovy.json.JsonOutput.$bean(value)
        if (bean instanceof Map) {
            def out = [:]
            for (e in bean) out.put(e.key, groovy.json.JsonDelegate.$plain(e.value))
            return out
        }
        if (value instanceof Map.Entry) return [value: groovy.json.JsonDelegate.$plain(value.value), key: value.key]
        if (!(value instanceof Collection || value instanceof Object[] || value instanceof Iterator)) return value
        def out = []
        for (x in value) out.add(groovy.json.JsonDelegate.$plain(x))
        out
    }
    static boolean $isEach(args) { args.length == 2 && (args[0] instanceof Iterable || args[0] instanceof Object[]) && args[1] instanceof Closure }
    def $found() { found }
    def methodMissing(String name, args) {
        def value
        if (args.length == 1) value = args[0]
        else if (groovy.json.JsonDelegate.$isEach(args)) value = args[0].collect { x -> groovy.json.JsonDelegate.content(args[1], x) }
        else value = args.toList()
        found.put(name, value)
        value
    }
}
