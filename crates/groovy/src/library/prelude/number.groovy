def times(self, f) { int times = self.intValue(); for (int i = 0; i < times; i++) f(i); null }
def upto(self, to, f) {
    if (self > to) throw new GroovyRuntimeException("The argument ($to) to upto() cannot be less than the value ($self) it's called on.".toString())
    for (def i = self; i <= to; i++) f(i)
    null
}
def downto(self, to, f) {
    if (self < to) throw new GroovyRuntimeException("The argument ($to) to downto() cannot be greater than the value ($self) it's called on.".toString())
    for (def i = self; i >= to; i--) f(i)
    null
}
def step(self, to, by, f) {
    if (self < to && by > 0) { for (def i = self; i < to; i += by) f(i) }
    else if (self > to && by < 0) { for (def i = self; i > to; i += by) f(i) }
    else if (self != to) throw new GroovyRuntimeException("Infinite loop in ${self}.step($to, $by)".toString())
    null
}
