def each(self, f) { for (c in self) f(c); self }
def eachWithIndex(self, f) { int i = 0; for (c in self) { f(c, i); i++ }; self }
def collect(self, f) { def out = []; for (c in self) out.add(f(c)); out }
def findAll(self, f) { self.toList().findAll(f) }
def any(self, f) { self.toList().any(f) }
def every(self, f) { self.toList().every(f) }
def inject(self, start, f) { self.toList().inject(start, f) }
def collectReplacements(self, f) { def out = new StringBuilder(); for (c in self) { def r = f(c); out.append(r == null ? c : r) }; out.toString() }
