class Properties extends LinkedHashMap {
    Properties(defaults = null) { if (defaults != null) putAll(defaults) }
    def getProperty(String key) { get(key) }
    def getProperty(String key, String other) { containsKey(key) ? get(key) : other }
    def setProperty(String key, value) { put(key, value) }
    def stringPropertyNames() { keySet().collect { it.toString() } as LinkedHashSet }
    def propertyNames() { keySet().iterator() }
    void load(source) {
        def text = source instanceof CharSequence ? source.toString() : source.getText()
        def whole = ''
        for (raw in text.readLines()) {
            def line = raw.replaceAll(/^\s+/, '')
            if (whole == '' && (line == '' || line.startsWith('#') || line.startsWith('!'))) continue
            whole += line
            int slashes = 0
            while (slashes < whole.length() && whole.charAt(whole.length() - 1 - slashes) == '\\') slashes++
            if (slashes % 2 == 1) { whole = whole.substring(0, whole.length() - 1); continue }
            $line(whole)
            whole = ''
        }
        if (whole != '') $line(whole)
    }
    void $line(String line) {
        int end = 0
        while (end < line.length() && !('=: \t'.contains(line[end]))) end += line[end] == '\\' ? 2 : 1
        end = Math.min(end, line.length())
        def rest = line.substring(end).replaceFirst(/^[ \t]*[=:]?[ \t]*/, '')
        put($plain(line.substring(0, end)), $plain(rest))
    }
    String $plain(String text) {
        if (!text.contains('\\')) return text
        def out = new StringBuilder()
        int i = 0
        while (i < text.length()) {
            def c = text[i]
            if (c != '\\' || i + 1 >= text.length()) { out.append(c); i++; continue }
            def next = text[i + 1]
            if (next == 'u' && i + 6 <= text.length()) { out.append(Integer.parseInt(text.substring(i + 2, i + 6), 16) as char); i += 6; continue }
            out.append(['n': '\n', 't': '\t', 'r': '\r', 'f': '\f'][next] ?: next)
            i += 2
        }
        out.toString()
    }
    void store(out, comment) { for (e in this) out << "${e.key}=${e.value}\n".toString() }
}
