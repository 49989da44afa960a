class StreamingJsonBuilder {
    private def out
    StreamingJsonBuilder(out, content = null) { this.out = out; if (content != null) $add(content) }
    private def $add(content) { out << groovy.json.JsonOutput.toJson(content); content }
    def call(Map map) { $add(map) }
    def call(List list) { $add(list) }
    def call(Object... all) { $add(all.toList()) }
    def call(Closure f) { groovy.json.StreamingJsonDelegate.$object(out, f, [:]); null }
    def call(Iterable all, Closure f) { groovy.json.StreamingJsonDelegate.$each(out, all, f); out }
    def call(String name) { $named(name, [] as Object[]) }
    def call(String name, Map map) { $named(name, [map] as Object[]) }
    def call(String name, Closure f) { $named(name, [f] as Object[]) }
    def call(String name, Map map, Closure f) { $named(name, [map, f] as Object[]) }
    def call(String name, Iterable all, Closure f) { $named(name, [all, f] as Object[]) }
    def methodMissing(String name, args) { $named(name, args); this }
    private def $named(String name, args) {
        boolean each = groovy.json.JsonDelegate.$isEach(args)
        Map map = args.length > 0 && args[0] instanceof Map ? args[0] : null
        def body = args.length > 0 ? args[-1] : [:]
        if (!each && args.length != 0 && args.length != (map != null && body instanceof Closure ? 2 : 1) || !(body instanceof Map || body instanceof Closure)) {
            throw new groovy.json.JsonException('Expected no arguments, a single map, a single closure, or a map and closure as arguments.')
        }
        out << '{' << groovy.json.JsonOutput.toJson(name) << ':'
        if (each) groovy.json.StreamingJsonDelegate.$each(out, args[0], body)
        else if (body instanceof Closure) groovy.json.StreamingJsonDelegate.$object(out, body, map ?: [:])
        else $add(body)
        out << '}'
        null
    }
}
