class NodeBuilder extends groovy.util.BuilderSupport {
    static NodeBuilder newInstance() { new NodeBuilder() }
    void setParent(parent, child) { }
    def createNode(name) { new Node(current, name) }
    def createNode(name, value) { new Node(current, name, value) }
    def createNode(name, Map attributes) { new Node(current, name, attributes) }
    def createNode(name, Map attributes, value) { new Node(current, name, attributes, value) }
}
