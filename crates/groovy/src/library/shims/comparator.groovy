class Made implements Comparator {
    private String kind
    private def by
    private def then
    int compare(a, b) {
        switch (kind) {
            case 'natural': return a.compareTo(b)
            case 'reverse': return b.compareTo(a)
            case 'case': return a.compareToIgnoreCase(b)
            case 'reversed': return by.compare(b, a)
            case 'of': return then.compare(by(a), by(b))
            case 'comparingByKey': return then.compare(a.key, b.key)
            case 'comparingByValue': return then.compare(a.value, b.value)
            case 'then': return by.compare(a, b) ?: then.compare(a, b)
        }
        if (a == null || b == null) return a == null && b == null ? 0 : (a == null) == (kind == 'nullsFirst') ? -1 : 1
        by == null ? 0 : by.compare(a, b)
    }
}
