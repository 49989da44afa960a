class Collectors {
    private static make(Closure whole) { new java.util.stream.Collector(whole) }
    static toList() { make { it.toList() } }
    static toUnmodifiableList() { make { it.toList().asImmutable() } }
    static toSet() { make { it as HashSet } }
    static toUnmodifiableSet() { make { (it as HashSet).asImmutable() } }
    static toCollection(f) { make { items -> def all = f(); all.addAll(items); all } }
    static joining(between = '', before = '', after = '') { make { items -> "${before}${items.join(between)}${after}".toString() } }
    static counting() { make { it.size() as long } }
    static mapping(f, then) { make { items -> then.finish(items.collect { f(it) }) } }
    static filtering(f, then) { make { items -> then.finish(items.findAll { f(it) }) } }
    static collectingAndThen(first, f) { make { items -> f(first.finish(items)) } }
    static reducing(start, f) { make { items -> def sum = start; for (x in items) sum = f(sum, x); sum } }
    static summingInt(f) { make { items -> def sum = 0; for (x in items) sum += f(x); sum } }
    static summingLong(f) { make { items -> def sum = 0L; for (x in items) sum += f(x); sum } }
    static summingDouble(f) { make { items -> double sum = 0; for (x in items) sum += f(x); sum } }
    static averagingInt(f) { make { items -> double sum = 0; for (x in items) sum += f(x); items.isEmpty() ? 0.0d : sum / items.size() } }
    static averagingDouble(f) { averagingInt(f) }
    static minBy(f) { make { items -> new java.util.stream.Stream(items).min(f) } }
    static maxBy(f) { make { items -> new java.util.stream.Stream(items).max(f) } }
    static partitioningBy(f, then = toList()) {
        make { items -> def parts = items.split { f(it) }; [(false): then.finish(parts[1]), (true): then.finish(parts[0])] }
    }
    static groupingBy(f, then = toList()) {
        make { items -> def out = new HashMap(); items.groupBy { f(it) }.each { k, v -> out.put(k, then.finish(v)) }; out }
    }
    static groupingBy(f, map, then) {
        make { items -> def out = map(); items.groupBy { f(it) }.each { k, v -> out.put(k, then.finish(v)) }; out }
    }
    static toMap(key, value) {
        make { items ->
            def out = new HashMap()
            for (x in items) {
                def k = key(x)
                if (out.containsKey(k)) throw new IllegalStateException("Duplicate key ${k}".toString())
                out.put(k, value(x))
            }
            out
        }
    }
    static toMap(key, value, both, map = null) {
        make { items ->
            def out = map == null ? new HashMap() : map()
            for (x in items) { def k = key(x); out.put(k, out.containsKey(k) ? both(out.get(k), value(x)) : value(x)) }
            out
        }
    }
}
