def sort(self, all, by) {
    def sorted = by == null ? all.toList().sort(false) : all.toList().sort(false, by)
    int i = 0
    for (x in sorted) { all[i] = x; i++ }
    null
}
def max(self, all, by) { all.max(by) }
def min(self, all, by) { all.min(by) }
def binarySearch(self, all, key, by) {
    int low = 0
    int high = all.size() - 1
    while (low <= high) {
        int middle = (low + high).intdiv(2)
        int order = by.compare(all[middle], key)
        if (order == 0) return middle
        if (order < 0) low = middle + 1 else high = middle - 1
    }
    -low - 1
}
def setAll(self, all, f) { for (int i = 0; i < all.length; i++) all[i] = f(i); null }
def compare(self, a, b, by) { a.is(b) ? 0 : by.compare(a, b) }
def requireNonNull(self, x, f) { if (x == null) throw new NullPointerException(f()); x }
def requireNonNullElseGet(self, x, f) { x == null ? f() : x }
