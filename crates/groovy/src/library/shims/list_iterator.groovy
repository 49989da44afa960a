class ListIterator implements Iterator, Iterable {
    private List $list
    private int $at
    private int $last = -1
    ListIterator(List list, int at) { $list = list; $at = at }
    boolean hasNext() { $at < $list.size() }
    boolean hasPrevious() { $at > 0 }
    int nextIndex() { $at }
    int previousIndex() { $at - 1 }
    def next() {
        if ($at >= $list.size()) throw new NoSuchElementException()
        $last = $at++
        $list.get($last)
    }
    def previous() {
        if ($at <= 0) throw new NoSuchElementException()
        $last = --$at
        $list.get($last)
    }
    private void $check() { if ($last < 0) throw new IllegalStateException() }
    void remove() { $check(); $list.remove($last); if ($last < $at) $at--; $last = -1 }
    void set(value) { $check(); $list.set($last, value) }
    void add(value) { $list.add($at++, value); $last = -1 }
    def iterator() { $list.subList($at, $list.size()).iterator() }
}
