enum DayOfWeek {
    MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY
    static of(int n) {
        if (n < 1 || n > 7) throw new java.time.DateTimeException("Invalid value for DayOfWeek: $n")
        values()[n - 1]
    }
    static from(date) { date.getDayOfWeek() }
    int getValue() { ordinal() + 1 }
    def plus(days) { java.time.DayOfWeek.values()[Math.floorMod((ordinal() + days) as long, 7L) as int] }
    def minus(days) { plus(-days) }
    String getDisplayName(style, locale) {
        def full = name().toLowerCase().capitalize()
        style.toString().startsWith('SHORT') ? full[0..2] : style.toString().startsWith('NARROW') ? full[0] : full
    }
}
