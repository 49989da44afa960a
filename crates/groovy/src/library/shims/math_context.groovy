class MathContext {
    static getUNLIMITED() { new java.math.MathContext(0) }
    static getDECIMAL32() { new java.math.MathContext(7, java.math.RoundingMode.HALF_EVEN) }
    static getDECIMAL64() { new java.math.MathContext(16, java.math.RoundingMode.HALF_EVEN) }
    static getDECIMAL128() { new java.math.MathContext(34, java.math.RoundingMode.HALF_EVEN) }
    private final int precision
    private final def roundingMode
    MathContext(int precision, roundingMode = java.math.RoundingMode.HALF_UP) {
        if (precision < 0) throw new IllegalArgumentException('Digits < 0')
        this.precision = precision
        this.roundingMode = roundingMode
    }
    MathContext(String text) {
        def found = text =~ /^precision=(\d{1,9}) roundingMode=(\w+)$/
        if (!found) throw new IllegalArgumentException('bad string format')
        this.precision = found.group(1) as int
        this.roundingMode = java.math.RoundingMode.valueOf(found.group(2))
    }
    int getPrecision() { precision }
    def getRoundingMode() { roundingMode }
    boolean equals(other) {
        other instanceof java.math.MathContext && precision == other.getPrecision() && roundingMode == other.getRoundingMode()
    }
    int hashCode() { precision * 31 + roundingMode.ordinal() }
    String toString() { "precision=$precision roundingMode=$roundingMode".toString() }
}
