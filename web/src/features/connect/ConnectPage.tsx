export const ConnectPage = () => null
