class ConfigReader {
    private def $script
    private Map $variables
    private Map $conditions
    private List $open = []
    private List $blocks = []
    private Map $found = [:]
    private int $chosen = 0
    private String $prefix = ''
    ConfigReader(Map variables, Map conditions) { $variables = variables; $conditions = conditions }
    def $read(String text) {
        def (code, script) = groovy.util.ConfigSlurper.$script(text)
        $script = script
        def all = new ConfigObject()
        $open.add([all, [:]])
        // `this.name` is what the name is.
        code = code.rehydrate(this, script, this)
        code.resolveStrategy = 3
        code()
        for (chosen in $found.values()) all.merge(chosen)
        all
    }
    def getProperty(String name) {
        def (into, known) = $open[-1]
        if (into.get(name)) return into.get(name)
        if (known.get(name)) return known.get(name)
        if ($variables.containsKey(name)) return $variables.get(name)
        def made = new ConfigObject()
        $set(name, made)
        made
    }
    void setProperty(String name, value) { $set(name, value) }
    private void $set(String name, value) {
        def (into, known) = $open[-1]
        into.put($prefix + name, value)
        known.put($prefix + name, value)
    }
    private void $inside(into, Closure body) {
        def known = [:]
        known.putAll($open[-1][1])
        $open.add([into, known])
        body()
        $open.remove($open.size() - 1)
    }
    def methodMissing(String name, args) {
        if (args.length == 1 && args[0] instanceof Closure) {
            if ($conditions.containsKey(name)) {
                $blocks.add(name)
                args[0].call()
                $blocks.remove($blocks.size() - 1)
            } else if ($blocks) {
                def block = $blocks[-1]
                if (name != $conditions.get(block)) return null
                def chosen = new ConfigObject()
                def outer = $blocks
                $blocks = []
                $chosen++
                $inside(chosen, args[0])
                $chosen--
                $blocks = outer
                // That of a block counts there at once; that of the whole text counts last.
                if ($chosen == 0 && $open.size() > 1) $open[-1][0].merge(chosen)
                else if ($found.containsKey(block)) $found.get(block).merge(chosen) else $found.put(block, chosen)
            } else {
                def into = $open[-1][0].get(name)
                if (!(into instanceof ConfigObject)) into = new ConfigObject()
                $set(name, into)
                $inside(into, args[0])
            }
            return null
        }
        if (args.length == 2 && args[1] instanceof Closure) {
            $set(name, args[0])
            $prefix = name + '.'
            args[1].call()
            $prefix = ''
            return null
        }
        if (name in ['print', 'println', 'printf'] || $script.respondsTo(name)) return $script."$name"(*args)
        def types = args.collect { it == null ? 'null' : it.getClass().name }.join(', ')
        throw new MissingMethodException("No signature of method: groovy.util.ConfigSlurper.$name() is applicable for argument types: ($types) values: ${args.toList()}".toString())
    }
}
