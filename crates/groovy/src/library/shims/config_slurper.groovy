class ConfigSlurper {
    private Map $variables = [:]
    private Map $conditions = [:]
    ConfigSlurper(String environment = '') { $conditions.put('environments', environment) }
    String getEnvironment() { $conditions.get('environments') }
    void setEnvironment(String environment) { $conditions.put('environments', environment) }
    void registerConditionalBlock(String block, String value) { if (value) $conditions.put(block, value) else $conditions.remove(block) }
    Map getConditionalBlockValues() { $conditions.asImmutable() }
    void setBinding(Map variables) { $variables = variables }
    def parse(source) {
        if (source instanceof Properties) return $nested(source)
        new groovy.util.ConfigReader($variables, $conditions).$read(source instanceof CharSequence ? source.toString() : source.text)
    }
    private def $nested(Map source) {
        def out = new ConfigObject()
        for (e in source) {
            def names = e.key.toString().split('\\.')
            def at = out
            int n = 0
            // What is below a name with a value of its own keeps its dots.
            for (def before = names ? names[0] : ''; n < names.length - 1 && !source.containsKey(before); before += '.' + names[n]) {
                if (!(at.get(names[n]) instanceof ConfigObject)) at.put(names[n], new ConfigObject())
                at = at.get(names[n])
                n++
            }
            if (names) at.put(names.drop(n).join('.'), e.value)
        }
        out
    }
}
