class Namespace {
    private String $uri
    private String $prefix
    Namespace(String uri = '', String prefix = '') { $uri = uri; $prefix = prefix }
    def get(String name) { new groovy.xml.QName($uri, name, $prefix) }
    def getProperty(String name) { get(name) }
    String getUri() { $uri }
    String getPrefix() { $prefix }
}
