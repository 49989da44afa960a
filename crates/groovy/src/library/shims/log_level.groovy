class Level {
    private final String name
    private final int value
    private Level(String name, int value) { this.name = name; this.value = value }
    static final java.util.logging.Level OFF = new java.util.logging.Level('OFF', Integer.MAX_VALUE)
    static final java.util.logging.Level SEVERE = new java.util.logging.Level('SEVERE', 1000)
    static final java.util.logging.Level WARNING = new java.util.logging.Level('WARNING', 900)
    static final java.util.logging.Level INFO = new java.util.logging.Level('INFO', 800)
    static final java.util.logging.Level CONFIG = new java.util.logging.Level('CONFIG', 700)
    static final java.util.logging.Level FINE = new java.util.logging.Level('FINE', 500)
    static final java.util.logging.Level FINER = new java.util.logging.Level('FINER', 400)
    static final java.util.logging.Level FINEST = new java.util.logging.Level('FINEST', 300)
    static final java.util.logging.Level ALL = new java.util.logging.Level('ALL', Integer.MIN_VALUE)
    String getName() { name }
    int intValue() { value }
    String toString() { name }
    static java.util.logging.Level parse(String text) {
        def found = [OFF, SEVERE, WARNING, INFO, CONFIG, FINE, FINER, FINEST, ALL].find { it.name == text || "${it.value}" == text }
        if (found == null) throw new IllegalArgumentException("Bad level \"$text\"")
        found
    }
}
