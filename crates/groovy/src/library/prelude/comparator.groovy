def reversed(self) { Collections.reverseOrder(self) }
def thenComparing(self, f) { Comparator.$then(self, f instanceof Closure && f.maximumNumberOfParameters == 1 ? Comparator.comparing(f) : f) }
def thenComparing(self, f, by) { Comparator.$then(self, Comparator.comparing(f, by)) }
def thenComparingInt(self, f) { Comparator.$then(self, Comparator.comparing(f)) }
def thenComparingLong(self, f) { Comparator.$then(self, Comparator.comparing(f)) }
def thenComparingDouble(self, f) { Comparator.$then(self, Comparator.comparing(f)) }
