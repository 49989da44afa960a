class Fs$FileWrapper {
    String name
    String path
    boolean directory
    long length
    long lastModified

    String toString() { path }
    boolean equals(Object other) { other instanceof Fs$FileWrapper && other.path == path }
    int hashCode() { path.hashCode() }
}

class Http$Response {
    int status
    String content
    Map headers

    void close() { }
    String toString() { "Status: ${status}, Response: ${content}" }
}

class Csv$Record implements Iterable {
    private final List values
    private final Map places
    final long recordNumber

    Csv$Record(List values, Map places, long recordNumber) {
        this.values = values
        this.places = places
        this.recordNumber = recordNumber
    }

    def get(String name) {
        def at = places[name]
        if (at == null) throw new IllegalArgumentException("Mapping for $name not found, expected one of ${places.keySet()}")
        if (at >= values.size()) throw new IllegalArgumentException("Index for header '$name' is $at but CSVRecord only has ${values.size()} values!")
        values[at]
    }
    def get(int at) {
        if (at < 0 || at >= values.size()) throw new ArrayIndexOutOfBoundsException("Index $at out of bounds for length ${values.size()}")
        values[at]
    }
    def getAt(String name) { get(name) }
    def getAt(int at) { get(at) }
    boolean isMapped(String name) { places.containsKey(name) }
    boolean isSet(which) { which instanceof String ? isMapped(which) && places[which] < values.size() : which >= 0 && which < values.size() }
    boolean isConsistent() { places.size() == values.size() }
    int size() { values.size() }
    Iterator iterator() { values.iterator() }
    List toList() { new ArrayList(values) }
    String[] values() { values as String[] }
    Map toMap() {
        def all = [:]
        places.each { name, at -> if (at < values.size()) all[name] = values[at] }
        all
    }
    String toString() { "CSVRecord [comment='null', recordNumber=$recordNumber, values=$values]" }
}

class Mf$SimpleManifest {
    Map main
    Map entries
}

class User {
    String id
    String fullName

    String getDisplayName() { fullName }
    String toString() { fullName }
}

class EditType {
    String name
    String description

    String toString() { name }
}

class GitChangeSet$Path {
    String path
    String src
    String dst
    EditType editType

    String getValue() { path }
    String toString() { path }
}

class GitChangeSet {
    String commitId
    String parentCommit
    User author
    String authorName
    String authorEmail
    String title
    String comment
    long timestamp
    List affectedFiles

    String getId() { commitId }
    String getRevision() { commitId }
    String getMsg() { title }
    String getMsgEscaped() { title?.replace('&', '&amp;')?.replace('<', '&lt;')?.replace('>', '&gt;') }
    String getMsgAnnotated() { msgEscaped }
    String getDate() { new Date(timestamp).format("yyyy-MM-dd'T'HH:mm:ssZ") }
    List getPaths() { affectedFiles }
    List getAffectedPaths() { affectedFiles*.path }
    String toString() { "commit ${commitId}" }
}

class GitChangeSetList {
    List logs

    String getKind() { 'git' }
    Object[] getItems() { logs as Object[] }
    boolean isEmptySet() { logs.isEmpty() }
    def getBrowser() { null }
    Iterator iterator() { logs.iterator() }
    String toString() { "GitChangeSetList[${logs.join(', ')}]" }
}

def changeSet(List rows) {
    def logs = []
    for (row in rows) {
        def files = []
        for (file in row.files) {
            def gone = file.edit == 'delete'
            def type = new EditType(name: file.edit, description: "The file was ${file.what}")
            files << new GitChangeSet$Path(path: file.path, src: gone || file.edit == 'edit' ? file.path : null, dst: gone ? null : file.path, editType: type)
        }
        logs << new GitChangeSet(commitId: row.commit, parentCommit: row.parent, author: new User(id: row.id, fullName: row.author),
            authorName: row.author, authorEmail: row.email, title: row.title, comment: row.message, timestamp: row.timestamp,
            affectedFiles: files)
    }
    new GitChangeSetList(logs: logs)
}

def dependency(Map one) {
    def made = new org.apache.maven.model.Dependency()
    for (name in ['groupId', 'artifactId', 'version', 'type', 'classifier', 'scope', 'systemPath', 'optional', 'exclusions']) {
        if (one[name] != null) {
            made[name] = one[name]
        }
    }
    made
}

def parentOf(Map one) {
    new org.apache.maven.model.Parent(
        groupId: one.groupId, artifactId: one.artifactId, version: one.version, relativePath: one.relativePath ?: '../pom.xml')
}

def model(Map read) {
    def made = new org.apache.maven.model.Model()
    for (name in ['modelVersion', 'groupId', 'artifactId', 'version', 'packaging', 'name', 'description', 'url', 'inceptionYear',
            'modules', 'profiles', 'licenses', 'developers', 'contributors', 'mailingLists', 'prerequisites', 'repositories',
            'pluginRepositories',
            'dependencyManagement', 'build', 'reporting', 'organization', 'scm', 'ciManagement', 'issueManagement',
            'distributionManagement']) {
        def value = read[name]
        if (value != null && value != '') {
            made[name] = value
        }
    }
    made.lost = read.get('$lost')
    made.properties = read.get('properties') ?: [:]
    made.dependencies = (read.dependencies ?: []).collect { dependency(it) }
    made.parent = read.parent ? parentOf(read.parent) : null
    made
}

def shown(object, List names, Map implied = [:]) {
    def all = [:]
    for (name in names) {
        def value = object[name]
        if (value != null && value != '' && value != [] && value != [:] && value != implied[name]) {
            all[name] = value
        }
    }
    all
}

def modelMap(org.apache.maven.model.Model model) {
    if (model.lost) {
        return ['$lost': model.lost]
    }
    def all = shown(model, ['modelVersion', 'parent', 'groupId', 'artifactId', 'version', 'packaging', 'name', 'description', 'url',
        'inceptionYear', 'organization', 'licenses', 'developers', 'contributors', 'mailingLists', 'prerequisites', 'modules', 'scm',
        'issueManagement', 'ciManagement', 'distributionManagement', 'properties', 'dependencyManagement', 'dependencies',
        'repositories', 'pluginRepositories', 'build', 'reporting', 'profiles'], [packaging: 'jar'])
    if (all.parent instanceof org.apache.maven.model.Parent) {
        all.parent = shown(all.parent, ['groupId', 'artifactId', 'version', 'relativePath'], [relativePath: '../pom.xml'])
    }
    if (all.dependencies) {
        def names = ['groupId', 'artifactId', 'version', 'type', 'classifier', 'scope', 'systemPath', 'exclusions', 'optional']
        all.dependencies = all.dependencies.collect { it instanceof org.apache.maven.model.Dependency ? shown(it, names, [type: 'jar']) : it }
    }
    all
}

def records(List rows, List names, boolean ignoresCase) {
    def places = ignoresCase ? new TreeMap(String.CASE_INSENSITIVE_ORDER) : [:]
    // Of those that come twice the last one counts.
    names.eachWithIndex { name, at -> places[name] = at }
    def all = []
    for (row in rows) all << new Csv$Record(row, places, all.size() + 1L)
    all
}

def found(List rows) {
    def files = []
    for (row in rows) {
        files << new Fs$FileWrapper(name: row[0], path: row[1], directory: row[2], length: row[3], lastModified: row[4])
    }
    files
}

return [
    changes: { List rows -> changeSet(rows) },
    jsonNull: { net.sf.json.JSONNull.instance },
    records: { List rows, List names, boolean ignoresCase -> records(rows, names, ignoresCase) },
    files: { List rows -> found(rows) },
    manifest: { Map main, Map entries -> new Mf$SimpleManifest(main: main, entries: entries) },
    model: { Map read -> model(read) },
    modelMap: { it instanceof org.apache.maven.model.Model ? modelMap(it) : null },
    response: { int status, String content, Map headers -> new Http$Response(status: status, content: content, headers: headers) },
]
