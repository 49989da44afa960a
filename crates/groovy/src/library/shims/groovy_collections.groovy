class GroovyCollections {
    static List combinations(Object[] collections) { (collections as List).combinations() }
    static List combinations(Iterable collections) { collections.combinations() }
    static Set subsequences(List items) { items.subsequences() }
    static List transpose(Object[] lists) { (lists as List).transpose() }
    static List transpose(List lists) { lists.transpose() }
    static min(Object[] items) { (items as List).min() }
    static min(Iterable items) { items.min() }
    static max(Object[] items) { (items as List).max() }
    static max(Iterable items) { items.max() }
    static sum(Object[] items) { (items as List).sum() }
    static sum(Iterable items) { items.sum() }
}
