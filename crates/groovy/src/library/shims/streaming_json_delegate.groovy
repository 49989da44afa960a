class StreamingJsonDelegate {
    private def out
    private boolean first = true
    StreamingJsonDelegate(out) { this.out = out }
    static void $object(out, Closure f, Map before, Object... args) {
        def delegate = new groovy.json.StreamingJsonDelegate(out)
        out << '{'
        for (e in before) delegate.$add(e.key.toString(), e.value)
        def c = f.clone()
        c.delegate = delegate
        c.resolveStrategy = Closure.DELEGATE_FIRST
        c(*args)
        out << '}'
    }
    static void $each(out, all, Closure f) {
        out << '['
        all.eachWithIndex { x, i ->
            if (i > 0) out << ','
            groovy.json.StreamingJsonDelegate.$object(out, f, [:], x)
        }
        out << ']'
    }
    private void $name(String name) {
        out << (first ? '' : ',') << groovy.json.JsonOutput.toJson(name) << ':'
        first = false
    }
    void $add(String name, value) { $name(name); out << groovy.json.JsonOutput.toJson(value) }
    def methodMissing(String name, args) {
        if (args.length == 1 && args[0] instanceof Closure) { $name(name); groovy.json.StreamingJsonDelegate.$object(out, args[0], [:]) }
        else if (groovy.json.JsonDelegate.$isEach(args)) { $name(name); groovy.json.StreamingJsonDelegate.$each(out, args[0], args[1]) }
        else if (args.length == 2 && args[1] instanceof Closure) { $name(name); groovy.json.StreamingJsonDelegate.$object(out, args[1], [:], args[0]) }
        else $add(name, args.length == 1 ? args[0] : args.toList())
        null
    }
}
