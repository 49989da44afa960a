class ConfigObject extends LinkedHashMap {
    def getProperty(String name) {
        if (!containsKey(name)) put(name, new ConfigObject())
        get(name)
    }
    def getAt(String name) { getProperty(name) }
    void setProperty(String name, value) { put(name, value) }
    boolean isSet(String name) { containsKey(name) && !(get(name) instanceof ConfigObject && get(name).isEmpty()) }
    Map flatten(Map into = null) { into = into == null ? new ConfigObject() : into; $flatten('', this, into); into }
    private void $flatten(String prefix, Map from, Map into) {
        for (e in from) {
            if (e.value instanceof Map) $flatten(prefix + e.key + '.', e.value, into)
            else into.put(prefix + e.key, e.value)
        }
    }
    Properties toProperties(String prefix = null) {
        def out = new Properties()
        for (e in flatten()) out.put(prefix == null ? e.key : prefix + '.' + e.key, String.valueOf(e.value))
        out
    }
    Map merge(Map other) { $merge(this, other) }
    private Map $merge(Map into, Map other) {
        for (e in other) {
            def before = into.get(e.key)
            if (before instanceof Map && !before.isEmpty() && e.value instanceof Map) $merge(before, e.value)
            else into.put(e.key, e.value)
        }
        into
    }
    ConfigObject clone() { def out = new ConfigObject(); out.putAll(this); out }
    String prettyPrint() { def out = new StringWriter(); $write('', this, out, 0, false); out.toString() }
    def writeTo(out) { out << prettyPrint(); out }
    private void $write(String prefix, Map from, out, int tabs, boolean dotted) {
        def space = dotted ? '' : '\t' * tabs
        for (e in from) {
            def value = e.value
            if (!(value instanceof ConfigObject)) out << "$space$prefix${e.key}=${value.inspect()}\n".toString()
            else if (!value.isEmpty() && (value.size() == 1 || value.keySet().any { it.toString().contains('.') })) $write(space + prefix + e.key + '.', value, out, tabs, true)
            else if (!value.isEmpty()) {
                out << "$space$prefix${e.key} {\n".toString()
                $write('', value, out, tabs + 1, false)
                out << "$space}\n".toString()
            }
        }
    }
}
