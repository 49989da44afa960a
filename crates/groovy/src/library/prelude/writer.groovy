def withWriter(self, f) { f(self) }
def withPrintWriter(self, f) { f(self) }
