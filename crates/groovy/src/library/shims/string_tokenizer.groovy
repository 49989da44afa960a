class StringTokenizer {
    private List parts
    private int at = 0
    StringTokenizer(text, delimiters = ' \t\n\r\f', boolean returned = false) {
        if (!returned) {
            parts = text.toString().tokenize(delimiters)
            return
        }
        parts = []
        def word = new StringBuilder()
        for (c in text.toString()) {
            if (!delimiters.contains(c)) { word.append(c); continue }
            if (word.length() > 0) { parts.add(word.toString()); word = new StringBuilder() }
            parts.add(c)
        }
        if (word.length() > 0) parts.add(word.toString())
    }
    boolean hasMoreTokens() { at < parts.size() }
    boolean hasMoreElements() { at < parts.size() }
    boolean hasNext() { at < parts.size() }
    int countTokens() { parts.size() - at }
    def nextToken() {
        if (at >= parts.size()) throw new NoSuchElementException()
        parts[at++]
    }
    def nextElement() { nextToken() }
    def next() { nextToken() }
    def iterator() { parts.subList(at, parts.size()).iterator() }
}
