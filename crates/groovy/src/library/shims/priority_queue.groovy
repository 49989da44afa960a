// A heap in a list, as Java keeps it: what it shows is in the same order.
class PriorityQueue implements Queue {
    private List heap = []
    private def by
    PriorityQueue() {}
    PriorityQueue(first) {
        if (first instanceof Closure || first instanceof Comparator) by = first
        else if (first instanceof Iterable) this.addAll(first)
    }
    PriorityQueue(int size, comparator) { by = comparator }
    private int order(a, b) {
        if (by == null) return a.compareTo(b)
        (by instanceof Closure ? by.call(a, b) : by.compare(a, b)) as int
    }
    boolean add(x) {
        if (x == null) throw new NullPointerException()
        int at = heap.size()
        heap.add(x)
        while (at > 0) {
            int above = (at - 1) >> 1
            if (this.order(x, heap[above]) >= 0) break
            heap[at] = heap[above]
            at = above
        }
        heap[at] = x
        true
    }
    boolean offer(x) { this.add(x) }
    def leftShift(x) { this.add(x); this }
    boolean addAll(items) { for (x in items) this.add(x); items.size() > 0 }
    boolean removeAll(items) { items instanceof Closure ? this.keep { !items(it) } : this.keep { !items.contains(it) } }
    boolean retainAll(items) { items instanceof Closure ? this.keep { items(it) } : this.keep { items.contains(it) } }
    boolean removeIf(f) { this.keep { !f(it) } }
    // What is left is made a heap again from its end on.
    private boolean keep(Closure f) {
        boolean changed = heap.retainAll { f(it) }
        if (changed) for (int at = (heap.size() >>> 1) - 1; at >= 0; at--) this.sink(at, heap[at])
        changed
    }
    private int sink(int from, x) {
        int at = from, count = heap.size()
        while (2 * at + 1 < count) {
            int below = 2 * at + 1
            if (below + 1 < count && this.order(heap[below], heap[below + 1]) > 0) below++
            if (this.order(x, heap[below]) <= 0) break
            heap[at] = heap[below]
            at = below
        }
        heap[at] = x
        at
    }
    def plus(x) { (heap + x) as LinkedList }
    boolean containsAll(items) { heap.containsAll(items) }
    def stream() { heap.stream() }
    def asType(Class type) { type == List || type == ArrayList || type == Set || type == LinkedList ? heap.asType(type) : this }
    private def takeAt(int from) {
        def taken = heap[from], x = heap.removeLast()
        if (from == heap.size()) return taken
        int at = this.sink(from, x)
        while (at > from && this.order(x, heap[(at - 1) >> 1]) < 0) {
            heap[at] = heap[(at - 1) >> 1]
            at = (at - 1) >> 1
        }
        taken
    }
    def poll() { heap.isEmpty() ? null : this.takeAt(0) }
    def peek() { heap.isEmpty() ? null : heap[0] }
    def remove() { if (heap.isEmpty()) throw new NoSuchElementException(); this.takeAt(0) }
    def element() { if (heap.isEmpty()) throw new NoSuchElementException(); heap[0] }
    boolean remove(x) { int at = heap.indexOf(x); if (at >= 0) this.takeAt(at); at >= 0 }
    boolean contains(x) { heap.contains(x) }
    int size() { heap.size() }
    boolean isEmpty() { heap.isEmpty() }
    boolean asBoolean() { !heap.isEmpty() }
    void clear() { heap.clear() }
    def comparator() { by }
    def iterator() { heap.iterator() }
    def toArray() { heap.toArray() }
    String toString() { heap.toString() }
}
