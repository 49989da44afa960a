def times(self, f) { for (int i = 0; i < self; i++) f(i); null }
def upto(self, to, f) { for (def i = self; i <= to; i++) f(i); null }
def downto(self, to, f) { for (def i = self; i >= to; i--) f(i); null }
def step(self, to, by, f) {
    if (self < to) { for (def i = self; i < to; i += by) f(i) } else { for (def i = self; i > to; i += by) f(i) }
    null
}
