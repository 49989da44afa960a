class OrderBy implements Comparator {
    private List $all
    OrderBy(all = []) { $all = all instanceof Closure ? [all] : all.toList() }
    void add(Closure f) { $all.add(f) }
    int compare(a, b) {
        for (f in $all) {
            int order = f(a) <=> f(b)
            if (order != 0) return order
        }
        0
    }
}
