enum Month {
    JANUARY, FEBRUARY, MARCH, APRIL, MAY, JUNE, JULY, AUGUST, SEPTEMBER, OCTOBER, NOVEMBER, DECEMBER
    static of(int n) {
        if (n < 1 || n > 12) throw new java.time.DateTimeException("Invalid value for MonthOfYear: $n")
        values()[n - 1]
    }
    static from(date) { date.getMonth() }
    int getValue() { ordinal() + 1 }
    def plus(months) { java.time.Month.values()[Math.floorMod((ordinal() + months) as long, 12L) as int] }
    def minus(months) { plus(-months) }
    int maxLength() { [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][ordinal()] }
    int length(leap) { ordinal() == 1 && !leap ? 28 : maxLength() }
    String getDisplayName(style, locale) {
        def full = name().toLowerCase().capitalize()
        style.toString().startsWith('SHORT') ? full[0..2] : style.toString().startsWith('NARROW') ? full[0] : full
    }
}
