class Made {
    private def code
    private Map binding
    Made(code, binding) { this.code = code; this.binding = binding ?: [:] }
    String toString() {
        def out = new StringBuilder()
        def names = binding.withDefault { throw new MissingPropertyException("No such property: $it for class: groovy.lang.Binding".toString()) }
        names.put('out', out)
        def c = code.clone()
        c.delegate = names
        c.resolveStrategy = Closure.DELEGATE_ONLY
        c()
        out.toString()
    }
    def writeTo(out) { out << toString(); out }
    int length() { toString().length() }
    def trim() { toString().trim() }
}
