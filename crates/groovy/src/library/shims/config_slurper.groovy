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
            def names = e.key.toString().tokenize('.')
            def at = out
            for (name in names.take(names.size() - 1)) {
                if (!(at.get(name) instanceof ConfigObject)) at.put(name, new ConfigObject())
                at = at.get(name)
            }
            if (names) at.put(names[-1], e.value)
        }
        out
    }
}
