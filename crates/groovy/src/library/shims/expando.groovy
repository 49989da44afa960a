class Expando {
    private Map $all
    Expando(Map all = [:]) { $all = all }
    Map getProperties() { $all }
    def getProperty(String name) { name == 'properties' ? $all : $all.get(name) }
    void setProperty(String name, value) { $all.put(name, value) }
    def methodMissing(String name, args) {
        def f = $all.get(name)
        if (f instanceof Closure) return $call(f, args.toList())
        throw new MissingMethodException("No signature of method: groovy.util.Expando.$name() is applicable for argument types: (${args.collect { it.getClass().name }.join(', ')}) values: ${args.toList()}".toString())
    }
    private def $call(Closure f, List args) { def c = f.clone(); c.delegate = this; c(*args) }
    String toString() { $all.get('toString') instanceof Closure ? $call($all.get('toString'), []) : '{' + $all.collect { k, v -> "$k=$v" }.join(', ') + '}' }
    boolean equals(other) { $all.get('equals') instanceof Closure ? $call($all.get('equals'), [other]) : this.is(other) }
    int hashCode() { $all.get('hashCode') instanceof Closure ? $call($all.get('hashCode'), []) : 1 }
}
