class JsonBuilder {
    private def content
    JsonBuilder(content = null) { this.content = content }
    def getContent() { content }
    def call(Map map) { content = map; content }
    def call(List list) { content = list; content }
    def call(Closure f) { content = groovy.json.JsonDelegate.content(f); content }
    def call(Collection all, Closure f) { content = all.collect { groovy.json.JsonDelegate.content(f, it) }; content }
    def call(Object... all) { content = all.toList(); content }
    def methodMissing(String name, args) {
        if (args.length == 0) content = [(name): [:]]
        else if (args.length == 1 && args[0] instanceof Closure) content = [(name): groovy.json.JsonDelegate.content(args[0])]
        else if (args.length == 1 && args[0] instanceof Map) content = [(name): args[0]]
        else if (args.length == 2 && args[0] instanceof Map) content = [(name): args[0] + groovy.json.JsonDelegate.content(args[1])]
        else if (groovy.json.JsonDelegate.$isEach(args)) content = [(name): args[0].collect { x -> groovy.json.JsonDelegate.content(args[1], x) }]
        else throw new groovy.json.JsonException('Expected no arguments, a single map, a single closure, or a map and closure as arguments.')
        content
    }
    String toString() { groovy.json.JsonOutput.toJson(content) }
    String toPrettyString() { groovy.json.JsonOutput.prettyPrint(toString()) }
    def writeTo(out) { out << toString(); out }
}
