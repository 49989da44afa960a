class NoChildren extends groovy.util.slurpersupport.GPathResult {
    NoChildren(up, String name, String prefix, Map prefixes) { super(up, name, prefix, prefixes) }
    boolean asBoolean() { false }
    def find(Closure f) { this }
    def findAll(Closure f) { this }
}
