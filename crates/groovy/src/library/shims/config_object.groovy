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
        for (e in flatten()) { if (e.value != null) out.put(prefix == null ? e.key : prefix + '.' + e.key, String.valueOf(e.value)) }
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
    String prettyPrint() { def out = new StringWriter(); $write('', this, out, ''); out.toString() }
    def writeTo(out) { out << prettyPrint(); out }
    private void $write(String prefix, Map from, out, String space) {
        for (e in from) {
            def (key, value) = [e.key.toString(), e.value]
            boolean keyword = groovy.util.ConfigSlurper.$keyword(key)
            def path = prefix == '' ? (keyword ? "this.${key.inspect()}" : key) : prefix + (key.contains('.') ? key.inspect() : key)
            if (!(value instanceof ConfigObject)) out << "$space$path=${value.inspect()}\n".toString()
            // Only a line by itself can say a name within names.
            else if (prefix || $isOne(value) || value.keySet().any { it.toString().contains('.') }) $write(path + '.', value, out, space)
            else if (!value.isEmpty()) {
                out << "$space${keyword ? key.inspect() : key} {\n".toString()
                $write('', value, out, space + '\t')
                out << "$space}\n".toString()
            }
        }
    }
    private boolean $isOne(value) { !(value instanceof ConfigObject) || value.size() == 1 && $isOne(value.values().first()) }
}
