class XmlSlurper {
    boolean keepIgnorableWhitespace = false
    private boolean $namespaces
    private boolean $doctype
    XmlSlurper(boolean validating = false, boolean namespaceAware = true, boolean allowDocTypeDeclaration = false) {
        $namespaces = namespaceAware
        $doctype = allowDocTypeDeclaration
    }
    def parseText(String text) {
        def read = groovy.util.slurpersupport.Node.$read(text, $namespaces, keepIgnorableWhitespace, $doctype, false)
        new groovy.util.slurpersupport.NodeChild(read[0], null, '*', read[1])
    }
    def parse(source) { parseText(source instanceof CharSequence ? new File(source.toString()).text : source.text) }
    void setFeature(String name, boolean value) { if (name.endsWith('/disallow-doctype-decl')) $doctype = !value }
}
