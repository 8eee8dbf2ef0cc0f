export const IndexPage = () => null
